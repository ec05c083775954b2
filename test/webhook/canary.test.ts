import { networkInterfaces } from 'node:os';
import { systemClock } from '@renderyard/shared/clock';
import { createAddressGuard } from '@renderyard/shared/webhook/address-guard';
import { parseCidrs } from '@renderyard/shared/webhook/cidr';
import type { HostLookup } from '@renderyard/shared/webhook/host-lookup';
import { createGuardedAgent } from '@renderyard/worker/webhook/guarded-connector';
import { type Attempt, createSender } from '@renderyard/worker/webhook/send';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Canary, openCanary } from './canary.ts';
import { LOOPBACK_SPELLINGS, OTHER_SPELLINGS } from './loopback-spellings.ts';

const HEADERS = { 'webhook-id': 'evt_1', 'webhook-timestamp': '1', 'webhook-signature': 'v1,x' };
const OWN_ADDRESSES = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .filter(({ internal, scopeid }) => !internal && !scopeid)
  .map(({ address }) => address);
/** Of documentation (RFC 5737), so nobody is there; allowed below in the part of a public address. */
const ELSEWHERE = '198.51.100.7';

const canaries: Canary[] = [];
/** Where something listens on every address, and where only on the addresses themselves. */
let everywhere = 0;
let precise = 0;
let hasIPv6 = false;

beforeAll(async () => {
  const keep = (canary: Canary | undefined) => {
    if (canary !== undefined) canaries.push(canary);
    return canary;
  };
  everywhere = keep(await openCanary('0.0.0.0'))?.port ?? 0;
  hasIPv6 = keep(await openCanary('::', everywhere)) !== undefined;
  precise = keep(await openCanary('127.0.0.1'))?.port ?? 0;
  for (const host of ['::1', ...OWN_ADDRESSES]) keep(await openCanary(host, precise));
});

afterAll(async () => {
  for (const canary of canaries) await canary[Symbol.asyncDispose]();
});

const connections = () => canaries.reduce((sum, canary) => sum + canary.connections, 0);
const requests = () => canaries.reduce((sum, canary) => sum + canary.requests.length, 0);

/** Sends each URL as it is, without the check of its text, and says how it went. Every name leads here, at worst. */
async function send(
  urls: readonly string[],
  {
    allow = '',
    ownPorts = [],
    lookup = async () => ['127.0.0.1'],
    timeoutMs = 5000,
  }: {
    readonly allow?: string;
    readonly ownPorts?: readonly number[];
    readonly lookup?: HostLookup;
    readonly timeoutMs?: number;
  } = {},
): Promise<readonly Attempt[]> {
  const guard = createAddressGuard({ allow: parseCidrs(allow) ?? [], ownPorts: new Set(ownPorts) });
  const agent = createGuardedAgent({ guard, connectTimeoutMs: timeoutMs, lookup });
  const sender = createSender({ agent, timeoutMs, clock: systemClock });
  try {
    return await Promise.all(urls.map((url) => sender.send({ url, headers: HEADERS, body: '{}' })));
  } finally {
    await agent.destroy();
  }
}

/** What a receiver's owner is told. */
const told = ({ status, error, answer }: Attempt) => ({ status, error, answer });
const UNREACHABLE = { status: undefined, error: 'unreachable', answer: '' };
const LOOPBACK = '127.0.0.0/8, ::1/128, 0.0.0.0/32, ::/128';

describe('what listens on this machine', () => {
  it.each([...LOOPBACK_SPELLINGS, ...OTHER_SPELLINGS])('is not reached by a webhook as %s', async (host) => {
    const before = connections();
    const attempts = await send([`http://${host}:${everywhere}/`, `http://${host}:${precise}/`]);
    for (const attempt of attempts) expect(told(attempt)).toEqual(UNREACHABLE);
    expect(connections()).toBe(before);
  });

  it.each([...LOOPBACK_SPELLINGS].filter((host) => !/^\[(?!.*(?:ffff|FFFF))/.test(host)))(
    'is reached as %s once loopback is allowed',
    async (host) => {
      const before = requests();
      const [attempt] = await send([`http://${host}:${everywhere}/`], { allow: LOOPBACK });
      expect(attempt).toMatchObject({ status: 200, answer: 'found' });
      expect(requests()).toBe(before + 1);
    },
  );

  it('is reached by IPv6 once it is allowed, where this machine has it', async ({ skip }) => {
    skip(!hasIPv6);
    const hosts = LOOPBACK_SPELLINGS.filter((host) => /^\[(?!.*(?:ffff|FFFF))/.test(host));
    expect(hosts.length).toBeGreaterThan(5);
    const before = requests();
    const attempts = await send(
      hosts.map((host) => `http://${host}:${everywhere}/`),
      { allow: LOOPBACK },
    );
    for (const attempt of attempts) expect(attempt).toMatchObject({ status: 200 });
    expect(requests()).toBe(before + hosts.length);
  });

  it('is not reached by the addresses of its own interfaces, unless they are allowed', async ({ skip }) => {
    const own = OWN_ADDRESSES.filter((ip) => {
      const guard = createAddressGuard({ allow: [], ownPorts: new Set() });
      return guard.checkAddress(ip, precise) === 'refused';
    });
    skip(own.length === 0);
    const urls = own.map((ip) => `http://${ip.includes(':') ? `[${ip}]` : ip}:${precise}/`);
    const before = connections();
    for (const attempt of await send(urls)) expect(told(attempt)).toEqual(UNREACHABLE);
    expect(connections()).toBe(before);
    const allow = own.map((ip) => (ip.includes(':') ? `${ip}/128` : `${ip}/32`)).join(',');
    for (const attempt of await send(urls, { allow })) expect(attempt.status).toBe(200);
  });

  it('is not reached on the ports of this installation, even when loopback is allowed', async () => {
    const before = connections();
    const hosts = ['127.0.0.1', '[::ffff:127.0.0.1]', '0.0.0.0', 'localhost'];
    const urls = hosts.map((host) => `http://${host}:${everywhere}/`);
    for (const attempt of await send(urls, { allow: LOOPBACK, ownPorts: [everywhere] }))
      expect(told(attempt)).toEqual(UNREACHABLE);
    expect(connections()).toBe(before);
  });

  it.each([
    ['127.0.0.1'],
    [ELSEWHERE, '127.0.0.1'],
    ['127.0.0.1', ELSEWHERE],
    [ELSEWHERE, '::1'],
    [ELSEWHERE, '::ffff:127.0.0.1'],
    [ELSEWHERE, '64:ff9b::7f00:1'],
    [ELSEWHERE, '0.0.0.0'],
    ['fe80::1%lo'],
    ['2130706433'],
    [''],
    ['localhost'],
  ])('is not reached by a name that resolves to %s %s', async (...addresses) => {
    const before = connections();
    const [attempt] = await send([`http://receiver.example:${everywhere}/`], {
      allow: '198.51.100.0/24',
      lookup: async () => addresses,
    });
    expect(attempt && told(attempt)).toEqual(UNREACHABLE);
    expect(attempt?.cause).toContain('AddressRefusedError');
    expect(connections()).toBe(before);
  });

  it('is not reached by a name that resolves to nothing', async () => {
    const [attempt] = await send([`http://receiver.example:${everywhere}/`], { lookup: async () => [] });
    expect(attempt && told(attempt)).toEqual(UNREACHABLE);
  });

  it('is not reached by a name that leads elsewhere when it is checked, and here when it is asked again', async () => {
    const before = connections();
    let asked = 0;
    const lookup: HostLookup = async () => [asked++ === 0 ? ELSEWHERE : '127.0.0.1'];
    const options = { allow: '198.51.100.0/24', lookup, timeoutMs: 400 };
    const url = `http://receiver.example:${everywhere}/`;
    const [first] = await send([url], options);
    expect(asked).toBe(1);
    expect(first?.status).toBeUndefined();
    const [second] = await send([url], options);
    expect(asked).toBe(2);
    expect(second?.error).toBe('unreachable');
    expect(connections()).toBe(before);
  });

  it('is sent nothing where an address that is allowed turns out to be one that is not', async () => {
    // Linux takes 0.0.0.0 for 127.0.0.1, which is seen only once the socket is connected.
    const before = requests();
    const [attempt] = await send([`http://0.0.0.0:${everywhere}/`], { allow: '0.0.0.0/32' });
    expect(attempt && told(attempt)).toEqual(UNREACHABLE);
    expect(attempt?.cause).toContain('0.0.0.0 leads to 127.0.0.1');
    expect(requests()).toBe(before);
  });

  it('is reached by a name that resolves to it, once it is allowed, under that name', async () => {
    const [attempt] = await send([`http://receiver.example:${precise}/hook`], {
      allow: '127.0.0.1/32',
      lookup: async () => ['127.0.0.1'],
    });
    expect(attempt?.status).toBe(200);
    const canary = canaries.find(({ host }) => host === '127.0.0.1');
    expect(canary?.requests.at(-1)?.headers.host).toBe(`receiver.example:${precise}`);
  });
});
