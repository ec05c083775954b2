import { readConfig } from '@renderyard/shared/config';
import { ownPorts } from '@renderyard/shared/webhook/own-ports';
import { expect, test } from 'vitest';

const ports = (env: Record<string, string>, redisUrl = 'redis://127.0.0.1:7001') =>
  [...ownPorts(readConfig({ PORT: '8080', ...env }), redisUrl)].sort((a, b) => a - b);

test.each([
  ['redis://redis.example.com', [6379, 8080]],
  ['rediss://user:word@[::1]:7002/3', [7002, 8080]],
  ['redis://a:7001,b:7002', [7001, 7002, 8080]],
  ['redis+sentinel://a,b:26380/main', [6379, 8080, 26_379, 26_380]],
])('the API and Redis at %s answer at their ports', (redisUrl, expected) => {
  expect(ports({}, redisUrl)).toEqual(expected);
});

test('metrics and health are served at a port of ours', () => {
  expect(ports({ METRICS_PORT: '9464' })).toEqual([7001, 8080, 9464]);
});

test.each([
  ['https://api.segmind.com', [7001, 8080]],
  ['http://127.0.0.1:9100/v1', [7001, 8080, 9100]],
  ['http://simulator:9100', [7001, 8080, 9100]],
  ['http://localhost', [7001, 8080]],
  ['https://10.1.2.3', [7001, 8080]],
  ['https://203.0.113.7:9100', [7001, 8080, 9100]],
  ['https://93.184.215.14:9100', [7001, 8080]],
])('an upstream at %s counts only where it is private, and has a port of its own', (SEGMIND_BASE_URL, expected) => {
  expect(ports({ SEGMIND_BASE_URL })).toEqual(expected);
});

test('an object store counts where it is private, by either variable of the AWS SDK', () => {
  expect(ports({ AWS_ENDPOINT_URL_S3: 'http://minio:9000', AWS_ENDPOINT_URL: 'http://minio:9001' })).toContain(9000);
  expect(ports({ AWS_ENDPOINT_URL: 'http://minio:9001' })).toContain(9001);
  expect(ports({ AWS_ENDPOINT_URL_S3: 'https://s3.example.com:9000' })).not.toContain(9000);
  expect(ports({ AWS_ENDPOINT_URL_S3: 'no url' })).toEqual([7001, 8080]);
});
