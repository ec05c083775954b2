import { flag, oneOf, text } from '../settings.ts';

/** The settings that only the store reads; the AWS SDK reads its own (`AWS_*`). For `readSettings`. */
export const STORE_SETTINGS = {
  S3_BUCKET: text(undefined, 255),
  S3_PREFIX: text(undefined, 100),
  S3_FORCE_PATH_STYLE: flag(false),
  IMAGE_LINKS: oneOf(['store', 'api'], 'store'),
};
