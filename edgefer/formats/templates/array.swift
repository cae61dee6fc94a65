    // What channel c of the network gets for a pixel p: p[source[c]] * scale[c] + offset[c].
    private static let samples = $samples
    private static let source = [$source]
    private static let scale: [Float] = [$scale]
    private static let offset: [Float] = [$offset]

    private static func input(from faces: [CGImage]) throws -> MLFeatureValue {
        let shape = [faces.count, height, width, source.count].map { NSNumber(value: $$0) }
        let array = try MLMultiArray(shape: shape, dataType: .float32)
        for (row, face) in faces.enumerated() {
            var pixels = [UInt8](repeating: 0, count: width * height * samples)
            try pixels.withUnsafeMutableBytes {
                try draw(face, into: $$0.baseAddress, bytesPerRow: width * samples)
            }
            for pixel in 0..<(width * height) {
                for channel in source.indices {
                    let value = Float(pixels[pixel * samples + source[channel]])
                    let place = (row * width * height + pixel) * source.count + channel
                    array[place] = NSNumber(value: value * scale[channel] + offset[channel])
                }
            }
        }
        return MLFeatureValue(multiArray: array)
    }
