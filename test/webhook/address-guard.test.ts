import { type AddressGuard, addressOf, createAddressGuard } from '@renderyard/shared/webhook/address-guard';
import { parseCidrs } from '@renderyard/shared/webhook/cidr';
import { resolveAndCheck } from '@renderyard/shared/webhook/resolve-and-check';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LOOPBACK_SPELLINGS, OTHER_SPELLINGS } from './loopback-spellings.ts';

const guardOf = (allow = '', ownPorts: readonly number[] = []): AddressGuard =>
  createAddressGuard({ allow: allow === '' ? [] : (parseCidrs(allow) ?? []), ownPorts: new Set(ownPorts) });
const strict = guardOf();

/** First and last address of each network in IANA's registries of special-purpose addresses, and of multicast. */
const SPECIAL = [
  ['0.0.0.0', '0.255.255.255'],
  ['10.0.0.0', '10.255.255.255'],
  ['100.64.0.0', '100.127.255.255'],
  ['127.0.0.0', '127.255.255.255'],
  ['169.254.0.0', '169.254.255.255'],
  ['172.16.0.0', '172.31.255.255'],
  ['192.0.0.0', '192.0.0.255'],
  ['192.0.2.0', '192.0.2.255'],
  ['192.31.196.0', '192.31.196.255'],
  ['192.52.193.0', '192.52.193.255'],
  ['192.88.99.0', '192.88.99.255'],
  ['192.168.0.0', '192.168.255.255'],
  ['192.175.48.0', '192.175.48.255'],
  ['198.18.0.0', '198.19.255.255'],
  ['198.51.100.0', '198.51.100.255'],
  ['203.0.113.0', '203.0.113.255'],
  ['224.0.0.0', '239.255.255.255'],
  ['240.0.0.0', '255.255.255.255'],
  ['::', '::1'],
  ['::2', '::ffff:ffff'],
  ['::ffff:0:0', '::ffff:ffff:ffff'],
  ['::ffff:0:0:0', '::ffff:0:ffff:ffff'],
  ['64:ff9b::', '64:ff9b::ffff:ffff'],
  ['64:ff9b:1::', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
  ['100::', '100::ffff:ffff:ffff:ffff'],
  ['100:0:0:1::', '100::1:ffff:ffff:ffff:ffff'],
  ['2001::', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2001:2::', '2001:2:0:ffff:ffff:ffff:ffff:ffff'],
  ['2001:4:112::', '2001:4:112:ffff:ffff:ffff:ffff:ffff'],
  ['2001:10::', '2001:3f:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2002::', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2620:4f:8000::', '2620:4f:8000:ffff:ffff:ffff:ffff:ffff'],
  ['3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['4000::', '5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['5f00::', '5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['fe80::', 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['fec0::', 'feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['ff00::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
] as const;

describe('the addresses of webhooks', () => {
  it.each(SPECIAL)('are not in %s to %s', (first, last) => {
    expect([first, last].map((ip) => strict.checkAddress(ip, 443))).toEqual(['refused', 'refused']);
  });

  it.each([
    ['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0'],
    ['169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.1.0', '192.0.3.0', '192.31.197.0'],
    ['192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '203.0.112.255', '203.0.114.0'],
    ['223.255.255.255', '8.8.8.8', '2001:200::', '2001:db7::', '2001:db9::', '2003::', '2606:4700::1111'],
    ['2620:4f:8001::', '2a00::1', '2400::1'],
  ])('may be %s and others right beside those networks', (...ips) => {
    expect(ips.map((ip) => strict.checkAddress(ip, 443))).toEqual(ips.map(() => 'allowed'));
  });

  it('are those of a cloud’s metadata under no spelling', () => {
    for (const ip of [
      '169.254.169.254',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      'fd00:ec2::254',
      '100.100.100.200',
      '168.63.129.16',
    ])
      expect(strict.checkAddress(ip, 80)).toBe('refused');
  });

  it.each([
    'fe80::1%eth0',
    '2606:4700::1111%1',
    '',
    'example.com',
    '010.0.0.1',
    '8.8.8',
    '134744072',
    '0x08080808',
    '8.8.8.8 ',
    '[2606:4700::1111]',
    '8.8.8.8/32',
  ])('are not %j, which no socket and no look-up spells so', (ip) => {
    expect(strict.checkAddress(ip, 443)).toBe('refused');
  });

  it('embed no IPv4 address, whichever it is', () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        const hex = ip
          .split('.')
          .map((byte) => Number(byte).toString(16).padStart(2, '0'))
          .join('')
          .replace(/^(....)(....)$/, '$1:$2');
        const embedding = [
          `::ffff:${ip}`,
          `::ffff:${hex}`,
          `::${ip}`,
          `::ffff:0:${hex}`,
          `64:ff9b::${ip}`,
          `2002:${hex}::`,
        ];
        return embedding.every((address) => strict.checkAddress(address, 443) === 'refused');
      }),
    );
  });
});

describe('networks that WEBHOOK_ALLOW_CIDRS lists', () => {
  it('are open, and no others', () => {
    const guard = guardOf('10.1.0.0/16, fd00:1::/32, ::1/128');
    for (const ip of ['10.1.0.1', '10.1.255.255', 'fd00:1::5', '::1', '8.8.8.8'])
      expect(guard.checkAddress(ip, 80)).toBe('allowed');
    for (const ip of ['10.2.0.1', 'fd00:2::5', '::', '127.0.0.1']) expect(guard.checkAddress(ip, 80)).toBe('refused');
  });

  it('stay closed on the ports of this installation, which public addresses do not', () => {
    const guard = guardOf('127.0.0.0/8', [6379]);
    expect(guard.checkAddress('127.0.0.1', 6379)).toBe('refused');
    expect(guard.checkAddress('::ffff:127.0.0.1', 6379)).toBe('refused');
    expect(guard.checkAddress('127.0.0.1', 6380)).toBe('allowed');
    expect(guard.checkAddress('8.8.8.8', 6379)).toBe('allowed');
  });

  it('open a mapped address when an IPv4 network holds the one in it', () => {
    const guard = guardOf('10.1.0.0/16');
    expect(guard.checkAddress('::ffff:10.1.2.3', 80)).toBe('allowed');
    expect(guard.checkAddress('::ffff:a01:203', 80)).toBe('allowed');
    expect(guard.checkAddress('::ffff:10.2.0.1', 80)).toBe('refused');
    expect(guard.checkAddress('::ffff:8.8.8.8', 80)).toBe('refused');
  });

  it('open an address of NAT64 or 6to4 only with the one in it', () => {
    expect(guardOf('10.1.0.0/16').checkAddress('64:ff9b::10.1.2.3', 80)).toBe('refused');
    const nat64 = guardOf('64:ff9b::/96');
    expect(nat64.checkAddress('64:ff9b::8.8.8.8', 80)).toBe('allowed');
    expect(nat64.checkAddress('64:ff9b::10.1.2.3', 80)).toBe('refused');
    expect(guardOf('64:ff9b::/96, 10.0.0.0/8').checkAddress('64:ff9b::10.1.2.3', 80)).toBe('allowed');
    expect(guardOf('2002::/16').checkAddress('2002:808:808::1', 80)).toBe('allowed');
    expect(guardOf('2002::/16').checkAddress('2002:7f00:1::1', 80)).toBe('refused');
  });

  it('do not open IPv4 by way of all of IPv6', () => {
    const guard = guardOf('::/0');
    expect(guard.checkAddress('fd00::1', 80)).toBe('allowed');
    expect(guard.checkAddress('::1', 80)).toBe('allowed');
    for (const ip of [
      '127.0.0.1',
      '::ffff:127.0.0.1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      '::127.0.0.1',
      '::ffff:0:7f00:1',
    ])
      expect(guard.checkAddress(ip, 80)).toBe('refused');
  });
});

describe('the URL of a webhook', () => {
  const codeOf = (text: string, guard = strict) => {
    const result = guard.checkUrl(text);
    return result.ok ? 'ok' : result.code;
  };

  it.each([
    'https://example.com',
    'HTTPS://Example.COM:8443/hooks?a=b#c',
    'http://8.8.8.8/',
    'https://[2606:4700::1111]/',
    'https://xn--bcher-kva.example/',
    'https://bücher.example/',
    'https://example.com./',
    'https://localhost.example.com/',
    'https://internal.example.com/',
  ])('may be %s', (text) => {
    const result = strict.checkUrl(text);
    expect(result).toEqual({ ok: true, url: new URL(text) });
  });

  it.each([
    '',
    'example.com',
    '//example.com',
    'ftp://example.com',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'https://',
    'https:///example.com',
    'https:example.com',
    'https:\\\\example.com',
    'https://user@example.com',
    'https://user:@example.com',
    'https://:secret@example.com',
    'https://example.com:99999',
    'https://exa mple.com',
    'https://example.com/\n',
    'ht\ttps://example.com',
    'https://[::1',
    'https://[fe80::1%25eth0]/',
    'https://256.256.256.256/',
    'https://1.2.3.4.5/',
    'https://0x1ffffffff/',
    'https://127.0.0.1../',
    'https://localhost../',
    'https://example..com/',
    'https://./',
  ])('cannot be %j', (text) => {
    expect(codeOf(text)).toBe('invalid_format');
  });

  it('has at most 2,000 characters', () => {
    expect(codeOf(`https://example.com/${'a'.repeat(1980)}`)).toBe('ok');
    expect(codeOf(`https://example.com/${'a'.repeat(1981)}`)).toBe('too_large');
  });

  it.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'a.localhost',
    'printer.local',
    'metadata.google.internal',
    'internal',
    'router.home.arpa',
    'redis',
    'redis.',
    '%6cocalhost',
    'ｌｏｃａｌｈｏｓｔ',
    'localhost。',
    'lo\u00adcalhost',
  ])('does not name %j, unless some network is allowed: then its address decides', (host) => {
    expect(codeOf(`http://${host}/`)).toBe('not_public');
    expect(codeOf(`http://${host}/`, guardOf('127.0.0.0/8'))).toBe('ok');
  });

  it.each([...LOOPBACK_SPELLINGS, ...OTHER_SPELLINGS])('cannot reach this machine as %s', (host) => {
    expect(['not_public', 'invalid_format']).toContain(codeOf(`http://${host}/`));
  });

  it.each(LOOPBACK_SPELLINGS)('means loopback or nothing by %s, in the normal form of URL', (host) => {
    const url = URL.parse(`http://${host}/`);
    expect([
      '127.0.0.1',
      '127.1.2.3',
      '0.0.0.0',
      '[::1]',
      '[::]',
      '[::ffff:7f00:1]',
      'localhost',
      'localhost.',
    ]).toContain(url?.hostname);
  });

  it('with an address is checked with its port', () => {
    const guard = guardOf('127.0.0.0/8', [80, 6379]);
    expect(codeOf('http://127.0.0.1:6379/', guard)).toBe('not_public');
    expect(codeOf('http://127.0.0.1/', guard)).toBe('not_public');
    expect(codeOf('https://127.0.0.1/', guard)).toBe('ok');
    expect(addressOf(new URL('https://[::1]/'))).toEqual({ host: '::1', port: 443 });
  });

  it('is refused in the same words, whatever is at the address', () => {
    const details = [
      'http://127.0.0.1',
      'http://10.0.0.1',
      'http://169.254.169.254',
      'http://[fd00::1]',
      'http://redis',
    ].map((text) => {
      const result = strict.checkUrl(text);
      return result.ok ? '' : result.detail;
    });
    expect(new Set(details).size).toBe(1);
    expect(details[0]).toContain('public');
  });

  it('leads to no address that is refused, however an IPv4 address is written', () => {
    const spell = fc.constantFrom(
      (byte: number) => String(byte),
      (byte: number) => `0x${byte.toString(16)}`,
      (byte: number) => `0${byte.toString(8)}`,
      (byte: number) => `0X00${byte.toString(16).toUpperCase()}`,
    );
    const dot = fc.constantFrom('.', '。', '．', '｡', '%2e');
    fc.assert(
      fc.property(fc.ipV4(), fc.tuple(spell, spell, spell, spell), fc.tuple(dot, dot, dot), (ip, spells, dots) => {
        const host = ip.split('.').reduce((text, byte, i) => text + spells[i]?.(Number(byte)) + (dots[i] ?? ''), '');
        expect(codeOf(`http://${host}/`) === 'ok').toBe(strict.checkAddress(ip, 80) === 'allowed');
      }),
    );
  });
});

describe('the host of a webhook that is registered', () => {
  const check = (addresses: readonly string[], guard = strict) =>
    resolveAndCheck('receiver.example', 443, guard, async () => addresses);

  it('is refused when one of its addresses is', async () => {
    expect(await check(['8.8.8.8', '2606:4700::1111'])).toEqual({ ok: true });
    expect(await check(['8.8.8.8', '10.0.0.1'])).toMatchObject({ ok: false, code: 'not_public' });
    expect(await check(['8.8.8.8', '10.0.0.1'], guardOf('10.0.0.0/8'))).toEqual({ ok: true });
    expect(await check(['10.0.0.1'], guardOf('10.0.0.0/8', [443]))).toMatchObject({ ok: false });
  });

  it('is accepted when it does not resolve: the socket decides', async () => {
    const lookup = () => Promise.reject(new Error('ENOTFOUND'));
    expect(await resolveAndCheck('receiver.example', 443, strict, lookup)).toEqual({ ok: true });
  });

  it('is accepted when it does not resolve within 2 s', async () => {
    const begun = performance.now();
    expect(await resolveAndCheck('receiver.example', 443, strict, () => new Promise(() => {}))).toEqual({ ok: true });
    expect(performance.now() - begun).toBeGreaterThan(1900);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
});
