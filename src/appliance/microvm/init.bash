#!/bin/bash
# What supermin's initramfs executes as pid 1: finds the scratch disk and hands
# over to safedib on it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc && mount -t sysfs sysfs /sys &&
    mount -t devtmpfs devtmpfs /dev || exit 1
modprobe -a virtio_console virtio_blk ext4 overlay 9p 9pnet_virtio virtio_net af_packet loop || exit 1
mkdir -p /.scratch
# noinit_itable: the inode tables of a sparse file are zero already.
mount -t ext4 -o noatime,noinit_itable,errors=remount-ro /dev/vdb /.scratch || exit 1
exec /.scratch/boot/safedib vm-init
