import { randomUUID } from 'node:crypto';

/**
 * The settings of Ceph in the tests: one monitor, one disk in memory, one gateway, on loopback, without authentication
 * between them.
 * @param plugins a folder of Ceph's, by its name, where the packages are not installed.
 */
export function cephConfiguration({
  folder,
  monitor,
  gateway,
  plugins,
}: {
  readonly folder: string;
  /** The port of the monitor. */
  readonly monitor: number;
  /** The address of the gateway. */
  readonly gateway: string;
  readonly plugins?: (name: string) => string;
}): string {
  const unpacked =
    plugins === undefined
      ? ''
      : `osd class dir = ${plugins('rados-classes')}
erasure code dir = ${plugins('erasure-code')}
plugin dir = ${plugins('ceph')}
`;
  return `[global]
fsid = ${randomUUID()}
mon host = [v2:127.0.0.1:${monitor}]
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc secure
ms bind msgr1 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
paxos propose interval = 0.02
paxos min wait = 0.01
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
mon data avail warn = 1
mon data avail crit = 1
mon data = ${folder}/mon
mon cluster log to file = false
osd data = ${folder}/osd
osd objectstore = memstore
${unpacked}memstore device bytes = ${4 * 1024 ** 3}
log to file = false
log to stderr = true
err to stderr = true
run dir = ${folder}/run
admin socket =
crash dir = ${folder}/run
debug mon = 0/0
debug paxos = 0/0
debug rocksdb = 0/0
debug osd = 1/1
debug rgw = 0/0
debug ms = 0/0
[client.rgw]
rgw frontends = beast endpoint=${gateway} tcp_nodelay=1
rgw data = ${folder}/rgw
rgw thread pool size = 32
rgw enable usage log = false
rgw enable ops log = false
rgw dynamic resharding = false
rgw gc obj min wait = 5
rgw gc processor period = 10
`;
}
