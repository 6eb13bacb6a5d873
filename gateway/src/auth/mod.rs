//! Who a message comes from, as far as SPF and DKIM prove it.
