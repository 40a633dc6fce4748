//! Every rule has its unit tests, its runbook and its line on the page of thresholds, and they
//! speak of the same rule.
