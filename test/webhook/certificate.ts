import { generateKeyPairSync, sign } from 'node:crypto';

/** A private key and a certificate that it has signed itself, both in PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** A certificate for the names, valid for a day: X.509 v3 (RFC 5280) with a P-256 key. */
export function selfSigned(...names: readonly string[]): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)); // ecdsa-with-SHA256
  const commonName = sequence(tlv(0x31, sequence(oid(0x55, 0x04, 0x03), tlv(0x0c, Buffer.from('test')))));
  const alternatives = sequence(...names.map((name) => tlv(0x82, Buffer.from(name))));
  const body = sequence(
    tlv(0xa0, integer(2)),
    integer(1),
    algorithm,
    commonName,
    sequence(time(Date.now() - 3_600_000), time(Date.now() + 86_400_000)),
    commonName,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(sequence(oid(0x55, 0x1d, 0x11), tlv(0x04, alternatives)))),
  );
  const signature = tlv(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, privateKey)]));
  const der = sequence(body, algorithm, signature).toString('base64');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${der.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
  };
}

/** DER: tag, length, value. */
function tlv(tag: number, value: Buffer): Buffer {
  const length =
    value.length < 0x80
      ? [value.length]
      : value.length < 0x100
        ? [0x81, value.length]
        : [0x82, value.length >> 8, value.length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), value]);
}
const sequence = (...parts: readonly Buffer[]) => tlv(0x30, Buffer.concat(parts));
const oid = (...bytes: readonly number[]) => tlv(0x06, Buffer.from(bytes));
const integer = (value: number) => tlv(0x02, Buffer.of(value));
const time = (at: number) => {
  const digits = new Date(at).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tlv(0x17, Buffer.from(`${digits}Z`));
};
