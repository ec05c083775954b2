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
// The first process of a container is told of no signal that it does not listen to, and loading takes a moment. From
// then on the service listens itself.
process.on('SIGTERM', () => {
  if (process.listenerCount('SIGTERM') === 1) process.exit(0);
});
await import(`../../services/${service}/src/main.ts`);

export {};
