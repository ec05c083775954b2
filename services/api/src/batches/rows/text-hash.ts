/** A keyed hash of texts. Its halves are read after `of`, so that no object is made for each. */
export interface TextHash {
  of(text: string): void;
  high(): number;
  low(): number;
}

/**
 * HalfSipHash-1-3 with 64 bits of output (https://github.com/veorq/SipHash), over UTF-16 units in pairs and then their
 * number. Who does not know the key cannot choose texts whose hashes meet, in this table or in its places.
 *
 * @param key two random words of 32 bits
 */
export function createTextHash(key: ArrayLike<number>): TextHash {
  const k0 = (key[0] ?? 0) | 0;
  const k1 = (key[1] ?? 0) | 0;
  // Signed, as the engine keeps those without an object for each.
  let high = 0;
  let low = 0;
  let last: string | undefined;

  return {
    of(text) {
      // An id is often its own key, and is asked for twice in a row.
      if (text === last) return;
      last = text;
      const { length } = text;
      // One loop for the words and the six rounds after them, with all in local variables: it runs for each row.
      const words = (length >> 1) + 2;
      let v0 = k0;
      let v1 = k1 ^ 0xee;
      let v2 = 0x6c796765 ^ k0;
      let v3 = 0x74656462 ^ k1;
      for (let i = 0; i < words + 6; i++) {
        let word = 0;
        if (i < words - 2) word = text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 16);
        else if (i === words - 2) word = (length & 1) === 1 ? text.charCodeAt(length - 1) : 0;
        else if (i === words - 1) word = length;
        else if (i === words) v2 ^= 0xee;
        else if (i === words + 3) {
          low = v1 ^ v3;
          v1 ^= 0xdd;
        }
        v3 ^= word;
        v0 = (v0 + v1) | 0;
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
        v0 = (v0 << 16) | (v0 >>> 16);
        v2 = (v2 + v3) | 0;
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
        v0 = (v0 + v3) | 0;
        v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
        v2 = (v2 + v1) | 0;
        v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
        v2 = (v2 << 16) | (v2 >>> 16);
        v0 ^= word;
      }
      high = v1 ^ v3;
    },
    high: () => high >>> 0,
    low: () => low >>> 0,
  };
}
