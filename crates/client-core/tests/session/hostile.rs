//! Any bytes.
