# Starts what /ceph.conf describes, with the keys of ROOT_ACCESS_KEY_ID and ROOT_SECRET_ACCESS_KEY; says "S3 is ready".
set -eu
cd /s3
conf='-c /ceph.conf'
mkdir -p mon osd rgw run
monmaptool --create --addv a '[v2:127.0.0.1:3300]' monmap
# A map that has the disk already saves registering it.
osdmaptool $conf --createsimple 1 osdmap
ceph-osd $conf -i 0 --mkfs --osd-uuid "$(cat /proc/sys/kernel/random/uuid)" --no-mon-config
ceph-mon $conf -i a --mkfs --monmap monmap --osdmap osdmap
ceph-mon $conf -f -i a &
# The gateway makes its pools when it starts, and waits for seconds if no disk is there yet.
ceph-osd $conf -f -i 0 2>&1 | while IFS= read -r line; do
  echo "$line"
  case $line in *'state: booting -> active'*) touch active ;; esac
done &
until [ -e active ]; do sleep 0.05; done
radosgw $conf -f -n client.rgw &
until (exec 3<> /dev/tcp/127.0.0.1/7070) 2> /dev/null; do sleep 0.05; done
radosgw-admin $conf -n client.rgw user create --uid test --display-name test \
  --access-key "$ROOT_ACCESS_KEY_ID" --secret-key "$ROOT_SECRET_ACCESS_KEY" > /dev/null
echo 'S3 is ready'
wait
