import { Cluster as IoCluster, Redis, type RedisOptions } from 'ioredis';
import type { Logger } from '../logger.ts';
import type { RedisTarget } from './redis-url.ts';

type ClusterTarget = Extract<RedisTarget, { kind: 'cluster' }>;
type NodeOptions = Pick<
  RedisOptions,
  'commandTimeout' | 'connectTimeout' | 'maxRetriesPerRequest' | 'password' | 'tls' | 'username'
>;
type ServerOptions = Omit<RedisOptions, 'replyMapping'>;
/** What `duplicate` takes of one server, and of a cluster. */
type DuplicateArguments = [override?: ServerOptions] | Parameters<IoCluster['duplicate']>;

/** A node that took over is found in this time also when nothing sends us there. */
const LOOK_AROUND_MS = 5000;
/** How long a command waits before it is tried at another node, when its own is lost or is none any more. */
const ELSEWHERE_AFTER_MS = 100;

/**
 * Connects lazily to a cluster, and passes for a connection to one server: all our keys carry one hash tag, so every
 * script and transaction has one node to go to.
 * @param waits commands wait for their node, or another in its place; otherwise they fail as `options` say.
 */
export function connectCluster(
  target: ClusterTarget,
  {
    options,
    waits,
    reconnectAfter,
    logger,
  }: {
    readonly options: NodeOptions;
    readonly waits: boolean;
    /** Milliseconds until the given attempt. */
    readonly reconnectAfter: (times: number) => number;
    readonly logger: Logger;
  },
): Redis {
  const cluster = new IoCluster(
    target.nodes.map((node) => ({ ...node })),
    {
      redisOptions: options,
      enableOfflineQueue: waits,
      retryDelayOnFailover: waits ? ELSEWHERE_AFTER_MS : 0,
      retryDelayOnClusterDown: waits ? ELSEWHERE_AFTER_MS : 0,
      ...(waits
        ? // A node that is lost is given up, and what it was to do is tried anew when the nodes were asked who they are.
          { maxRedirections: Number.POSITIVE_INFINITY }
        : // Nodes are kept and connected to again: then what cannot be sent fails as it does with one server. Not where
          // commands wait: those that wait for a node that is left out at last would never be heard of again.
          { clusterNodeRetryStrategy: reconnectAfter }),
      clusterRetryStrategy: reconnectAfter,
      slotsRefreshInterval: LOOK_AROUND_MS,
      // Left to the connection: a certificate is made out to the name, and a name may have several addresses.
      dnsLookup: (host, done) => done(null, host),
      lazyConnect: true,
    },
  );
  explainErrors(cluster, logger);
  const duplicateCluster = cluster.duplicate.bind(cluster);
  return Object.assign(cluster, {
    // Read in messages about the connection.
    options: Object.assign(cluster.options, target.nodes[0]),
    // BullMQ duplicates as a cluster is duplicated; whoever takes this for one server gives that one's options.
    duplicate: (...args: DuplicateArguments) =>
      isOneServers(args)
        ? connectListener(cluster, target, { ...options, ...args[0], retryStrategy: reconnectAfter })
        : duplicateCluster(...args),
  }) as unknown as Redis;
}

function isOneServers(args: DuplicateArguments): args is [override?: ServerOptions] {
  return args.length < 2 && !Array.isArray(args[0]);
}

/**
 * A connection to one node: what is published on a cluster is heard on every one of its nodes. When it breaks it goes
 * to the next, and says so by `ready`, which the subscriptions that ioredis moves between nodes do not.
 */
function connectListener(cluster: IoCluster, target: ClusterTarget, options: ServerOptions): Redis {
  const listener: Redis = new Redis({
    ...options,
    ...target.nodes[0],
    retryStrategy: (times: number) => {
      const known = cluster.nodes().map((node) => ({ host: node.options.host, port: node.options.port }));
      const nodes = known.length > 0 ? known : target.nodes;
      Object.assign(listener.options, nodes[times % nodes.length]);
      return options.retryStrategy?.(times);
    },
  });
  return listener;
}

/** Says why none of the hosts could be used, and tells of single nodes that are away. */
function explainErrors(cluster: IoCluster, logger: Logger): void {
  const away = new Set<string>();
  cluster.on('error', (error: Error & { lastNodeError?: Error }) => {
    // ioredis says only that the slots cannot be refreshed. Whoever listens after us reads this instead.
    if (error.lastNodeError) error.message = `no host answers as a node of a cluster: ${error.lastNodeError.message}`;
  });
  cluster.on('node error', (error: Error, node: string) => {
    if (!away.has(node)) logger.warn({ err: error, node }, 'a node of the Redis cluster cannot be used');
    away.add(node);
  });
  cluster.on('+node', (node: Redis) => {
    node.on('ready', () => {
      const name = `${node.options.host}:${node.options.port}`;
      if (away.delete(name)) logger.info({ node: name }, 'a node of the Redis cluster can be used again');
    });
  });
}
