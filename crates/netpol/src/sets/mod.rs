//! The sets in which everything else is expressed: addresses, ports, labels, and pairs of them.

pub mod address_ports;
pub mod addresses;
pub mod bits;
pub mod intervals;
pub mod label_classes;
pub mod ports;
pub mod selector;
