let answer = try classifier.classify(face)  // face: CGImage
for name in FaceExpression.labels { print(name, answer.probabilities[name] ?? 0) }
