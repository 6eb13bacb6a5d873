//! The files for service managers, checked by systemd's own tool.
