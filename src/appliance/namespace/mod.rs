//! The namespace appliance: user, mount, pid, ipc, uts and net namespaces.
