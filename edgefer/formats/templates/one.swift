    func classify(_ face: CGImage) throws -> (label: String, probabilities: [String: Double]) {
        let features = try MLDictionaryFeatureProvider(dictionary: ["$input": Self.input(from: $face)])
        let answer = try model.prediction(from: features)
        guard let label = answer.featureValue(for: "$label")?.stringValue,
            let values = answer.featureValue(for: "$probabilities")?.dictionaryValue as? [String: NSNumber]
        else { throw Failure.answer }
        return (label, values.mapValues { $$0.doubleValue })
    }
