//! Compare books, explain the breaks, plan and apply the repair.
