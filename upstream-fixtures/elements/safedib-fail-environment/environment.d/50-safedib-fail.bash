exit 44
