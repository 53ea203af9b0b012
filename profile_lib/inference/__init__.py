"""Apply a trained model: interest vectors, predictions and the reasons for them."""
