/**
 * What a container of the image runs: the service that its first argument names, in this process, which gets the
 * container's signals.
 */
const SERVICES = ['api', 'worker', 'simulator'];

const [service = ''] = process.argv.slice(2);
if (!SERVICES.includes(service)) {
  process.stderr.write(`The image runs one of ${SERVICES.join(', ')}, but was asked for ${JSON.stringify(service)}.\n`);
  process.exit(2);
}
await import(`../../services/${service}/src/main.ts`);

export {};
