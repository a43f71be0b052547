//! Exact and provable books of orders, fills and money.
