const UNITS: Readonly<Record<string, number>> = { Mi: 2 ** 20, Gi: 2 ** 30, mb: 2 ** 20 };

/** Bytes of a quantity of Kubernetes, or of a setting of Redis. @throws {Error} for a unit that is not used here. */
export function bytes(quantity: string): number {
  const [, number, unit = ''] = /^(\d+)([A-Za-z]+)$/.exec(quantity) ?? [];
  const factor = UNITS[unit];
  if (factor === undefined) throw new Error(`${quantity} is no number of Mi, Gi or mb.`);
  return Number(number) * factor;
}
