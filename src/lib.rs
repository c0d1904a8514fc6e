//! stagex
