export DISTRO_NAME=safedib-fake-os
