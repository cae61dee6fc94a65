let answers = try classifier.classify(faces)  // faces: [CGImage], as many as FaceExpression.batches lists
for probabilities in answers {
    for (name, probability) in zip(FaceExpression.labels, probabilities) { print(name, probability) }
}
