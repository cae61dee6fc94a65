    struct UnlistedBatch: Error { let faces: Int }

    static let batches = [$batches]

    /// One call of the model for as many faces as `batches` lists; a row of probabilities for each, in label order.
    func classify(_ faces: [CGImage]) throws -> [[Float]] {
        guard Self.batches.contains(faces.count) else { throw UnlistedBatch(faces: faces.count) }
        let features = try MLDictionaryFeatureProvider(dictionary: ["$input": Self.input(from: faces)])
        let answer = try model.prediction(from: features)
        guard let found = answer.featureValue(for: "$probabilities")?.multiArrayValue else { throw Failure.answer }
        return faces.indices.map { row in
            Self.labels.indices.map { found[[NSNumber(value: row), NSNumber(value: $$0)]].floatValue }
        }
    }
