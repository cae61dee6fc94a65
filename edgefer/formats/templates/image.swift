    private static func input(from face: CGImage) throws -> MLFeatureValue {
        var created: CVPixelBuffer?
        let status = CVPixelBufferCreate(
            kCFAllocatorDefault, width, height, $pixel_format, nil, &created)
        guard status == kCVReturnSuccess, let buffer = created else { throw Failure.pixelBuffer(status) }
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        try draw(
            face, into: CVPixelBufferGetBaseAddress(buffer), bytesPerRow: CVPixelBufferGetBytesPerRow(buffer))
        return MLFeatureValue(pixelBuffer: buffer)
    }
