#!/bin/bash
# Runs in a hook, inside the machine: makes and releases the devices of each
# OUT/NAME/config.yaml and writes what it sees into OUT/NAME. Last, the library's
# own test of devices that are there already.
set -u
out=${DIB_SAFEDIB_OUT:?}

# What nobody should leave: loop devices, mappings, mounts of ours, images.
left() {
    losetup --all
    ls /dev/mapper | grep -vx control
    grep -F " $work" /proc/self/mounts
    cat /sys/block/loop*/loop/backing_file 2>/dev/null
}

look() {
    cp "$states/state.json" "$to/"
    dib-block-device getval image-block-devices >"$to/devices" 2>>"$to/log"
    blkid -c /dev/null -o full >"$to/blkid"
    cp /proc/self/mounts "$to/mounts"
    for disk in /dev/loop[0-9]; do
        [ -e "/sys/block/${disk##*/}/loop" ] || continue
        sfdisk --json "$disk" >"$to/sfdisk-${disk##*/}" 2>/dev/null
    done
}

# Files that come and go: their blocks must not stay in the image.
fill() {
    awk -v under="$work/mnt" 'index($2, under) == 1 { print $2 }' /proc/self/mounts |
        while read -r point; do
            echo "here $point" >"$point/mark" || echo "cannot write below $point"
        done
    head -c 20000000 /dev/urandom >"$work/mnt/large"
    sync
    du -k "$work/image0.raw" >"$to/full"
    rm "$work/mnt/large"
}

run() {
    dib-block-device init >"$to/log" 2>&1
    dib-block-device create >>"$to/log" 2>&1
    echo $? >"$to/create"
    if [ -e "$states/nodes.json" ]; then
        look
        fill >>"$to/log" 2>&1
        [ "$name" = fallback ] && (cd "$work/mnt" && exec sleep 4) &
        sleep 0.5
        dib-block-device umount >>"$to/log" 2>&1
        echo $? >"$to/umount"
        du -k "$work/image0.raw" >"$to/trimmed"
        left >"$to/left"
        # Nothing is there for a second time.
        dib-block-device umount >>"$to/log" 2>&1
        echo $? >>"$to/umount"
        dib-block-device "$(cat "$to/end")" >>"$to/log" 2>&1
        echo $? >"$to/ended"
    else
        cp "$states/state.json" "$to/"
        left >"$to/left"
    fi
    ls -A "$work" "$work/states" >"$to/files"
}

for to in "$out"/*/; do
    to=${to%/} name=$(basename "$to") work=/var/tmp/blocks/$name
    states=$work/states/block-device
    mkdir -p "$work/other"
    cp "$to/config.yaml" "$to/params.yaml" "$work/"
    export DIB_BLOCK_DEVICE_PARAMS_YAML=$work/params.yaml
    run
    rm -rf "$work"
done

"$out/inside" --ignored --exact inside::the_library_attaches_what_is_there_already \
    --nocapture >"$out/inside.log" 2>&1
echo $? >"$out/inside.status"
# Nothing is to be built.
exit 43
