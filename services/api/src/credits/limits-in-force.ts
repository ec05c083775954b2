import type { Config } from '@renderyard/shared/config';
import { nanocredits } from '@renderyard/shared/credits/amount';
import type { CreditState, LimitInForce } from '@renderyard/shared/credits/credit-books';
import type { CreditLimit } from '@renderyard/shared/credits/credit-decision';

/** The limits as the workers keep them; those of our own settings as long as no worker has told its own. */
export function limitsInForce(
  { limits }: Pick<CreditState, 'limits'>,
  config: Pick<Config, 'CREDIT_FLOOR' | 'CREDIT_LOW' | 'CREDIT_RESUME'>,
): Readonly<Record<CreditLimit, LimitInForce>> {
  const own = (credits: number): LimitInForce => {
    const setting = nanocredits(credits);
    return { value: setting, setting };
  };
  return {
    floor: limits.floor ?? own(config.CREDIT_FLOOR),
    low: limits.low ?? own(config.CREDIT_LOW),
    resume: limits.resume ?? own(config.CREDIT_RESUME),
  };
}
