/**
 * The sizes of the aspect ratios that callers of the upstream were seen to send. The upstream does not publish the sizes
 * behind them: these are the usual ones of about a megapixel, in multiples of 64.
 */
export const ASPECT_RATIO_SIZES: Readonly<Record<string, readonly [width: number, height: number]>> = {
  '1:1': [1024, 1024],
  '16:9': [1344, 768],
  '9:16': [768, 1344],
  '4:3': [1152, 896],
  '3:4': [896, 1152],
  '21:9': [1536, 640],
  '2:3': [832, 1216],
};
