import { createSocket } from 'node:dgram';
import { lookup as systemLookup } from 'node:dns/promises';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHostLookup } from '@renderyard/shared/webhook/host-lookup';
import { readHostsFile } from '@renderyard/shared/webhook/hosts-file';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Answers per name and kind of question, as bytes of an address; a name that is missing is not there. */
const ZONE: Readonly<Record<string, Readonly<Record<number, readonly number[]>>>> = {
  'both.example': { 1: [192, 0, 2, 1], 28: [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] },
  'four.example': { 1: [127, 0, 0, 1] },
  'none.example': {},
};

/** A name server (RFC 1035) that answers from the zone, and not at all where the name begins with "slow". */
const server = createSocket('udp4');
let questions = 0;
server.on('message', (question, { port, address }) => {
  questions++;
  const labels: string[] = [];
  let at = 12;
  for (let length = question.readUInt8(at); length > 0; length = question.readUInt8(at)) {
    labels.push(question.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const name = labels.join('.');
  if (name.startsWith('slow')) return;
  const data = ZONE[name]?.[question.readUInt16BE(at + 1)];
  const header = Buffer.alloc(12);
  question.copy(header, 0, 0, 2);
  header.writeUInt16BE(ZONE[name] === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(data === undefined ? 0 : 1, 6);
  const parts = [header, question.subarray(12, at + 5)];
  if (data !== undefined) {
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    question.copy(record, 2, at + 1, at + 5);
    record.writeUInt16BE(data.length, 10);
    parts.push(record, Buffer.from(data));
  }
  server.send(Buffer.concat(parts), port, address);
});

let nameServers: readonly string[] = [];
beforeAll(async () => {
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  nameServers = [`127.0.0.1:${server.address().port}`];
});
afterAll(() => {
  server.close();
});

describe('the addresses of a host', () => {
  it('are all that its name servers know, of both kinds', async () => {
    const lookup = createHostLookup({ localNames: false, nameServers });
    expect(await lookup('both.example')).toEqual(['192.0.2.1', '2001:db8::1']);
    expect(await lookup('four.example')).toEqual(['127.0.0.1']);
  });

  it('are missing where there are none, or no such name', async () => {
    const lookup = createHostLookup({ localNames: false, nameServers });
    await expect(lookup('none.example')).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(lookup('missing.example')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(lookup('localhost')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  it('are those that this machine knows besides, where local names count', async () => {
    const lookup = createHostLookup({ localNames: true, nameServers });
    expect(await lookup('localhost')).toContain((await systemLookup('localhost')).address);
    await expect(lookup('missing.example')).rejects.toMatchObject({
      code: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
    });
  });

  it('are those of a file of hosts, whatever the name servers say', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'renderyard-hosts-'));
    const path = join(folder, 'hosts');
    await writeFile(
      path,
      '# 192.0.2.9 four.example\n192.0.2.7\tFour.example other # more\n::1 four.example\n\n192.0.2.8\n',
    );
    try {
      expect(await readHostsFile('four.EXAMPLE.', path)).toEqual(['192.0.2.7', '::1']);
      expect(await readHostsFile('more', path)).toEqual([]);
      expect(await readHostsFile('four.example', join(folder, 'none'))).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('are not asked of the operating system where the name servers are silent', async () => {
    const lookup = createHostLookup({ localNames: true, nameServers });
    const slow = Array.from({ length: 8 }, (_, i) => lookup(`slow-${i}.example`).catch(({ code }) => code as unknown));
    // It would have few threads left for others then, and might not know what these do not.
    expect(new Set(await Promise.all(slow))).toEqual(new Set(['ETIMEOUT']));
  });

  it('are the host itself where it is an address, and nobody is asked', async () => {
    const before = questions;
    const lookup = createHostLookup({ localNames: true, nameServers });
    expect(await lookup('127.0.0.1')).toEqual(['127.0.0.1']);
    expect(await lookup('::1')).toEqual(['::1']);
    expect(questions).toBe(before);
  });

  it('are found while the name servers of many others do not answer', async () => {
    const lookup = createHostLookup({ localNames: false, nameServers });
    const slow = Array.from({ length: 40 }, (_, i) => lookup(`slow-${i}.example`).catch(({ code }) => code as unknown));
    let answered = 0;
    for (const each of slow) void each.then(() => answered++);
    expect(await lookup('four.example')).toEqual(['127.0.0.1']);
    expect((await systemLookup('127.0.0.1')).address).toBe('127.0.0.1');
    await systemLookup('localhost');
    expect(answered).toBe(0);
    expect(new Set(await Promise.all(slow))).toEqual(new Set(['ETIMEOUT']));
  });
});
