//! A safe, thin binding to the TensorFlow Lite C library.
