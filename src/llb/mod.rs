//! LLB
