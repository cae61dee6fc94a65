import CoreGraphics
import CoreML
import CoreVideo
import Foundation

final class FaceExpression {
    enum Failure: Error {
        case pixelBuffer(CVReturn)
        case drawing
        case answer
    }

    static let labels = [$labels]
    private static let width = $width
    private static let height = $height

    private let model: MLModel

    init(compiledModel: URL, computeUnits: MLComputeUnits = .all) throws {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = computeUnits
        model = try MLModel(contentsOf: compiledModel, configuration: configuration)
    }

$classify

$conversion

    private static func draw(_ face: CGImage, into data: UnsafeMutableRawPointer?, bytesPerRow: Int) throws {
        guard
            let context = CGContext(
                data: data, width: width, height: height, bitsPerComponent: 8, bytesPerRow: bytesPerRow,
                space: $space,
                bitmapInfo: $bitmap)
        else { throw Failure.drawing }
        context.interpolationQuality = .medium
        context.draw(face, in: CGRect(x: 0, y: 0, width: width, height: height))
    }
}
