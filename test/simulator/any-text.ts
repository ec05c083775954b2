import fc from 'fast-check';

/** Any UTF-16 text that is not empty: control characters, lone surrogates and all. */
export function anyText(maxLength: number): fc.Arbitrary<string> {
  return fc
    .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength })
    .map((units) => String.fromCharCode(...units));
}
