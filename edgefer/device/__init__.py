"""What is shipped to a device and runs there with numpy, pillow and one runtime."""
