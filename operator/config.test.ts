import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readConfig } from './config.ts';

it('takes what a chart sets, and treats an empty variable as not set', () => {
  const config = readConfig({
    INFERENCE_IMAGE: 'i:1',
    WATCH_NAMESPACES: ' a, b,a,',
    INFERENCE_IMAGE_CUDA: 'i-cuda:1',
    INFERENCE_IMAGE_TENSORRT: '',
    INFERENCE_IMAGE_PULL_SECRETS: 'r,s',
    LEASE_NAMESPACE: '',
    LEADER_ELECTION: 'false',
    METRICS_PORT: '0',
  });
  assert.deepEqual(config.WATCH_NAMESPACES, ['a', 'b']);
  assert.deepEqual(config.INFERENCE_IMAGE_PULL_SECRETS, ['r', 's']);
  assert.deepEqual([config.INFERENCE_IMAGE_CUDA, config.INFERENCE_IMAGE_TENSORRT], ['i-cuda:1', undefined]);
  assert.equal(config.LEADER_ELECTION, false);
  assert.equal(config.LEASE_NAMESPACE, undefined);
  assert.equal(config.METRICS_PORT, 0);
  assert.equal(config.INFERENCE_IMAGE_PULL_POLICY, 'IfNotPresent');
  assert.deepEqual(readConfig({ INFERENCE_IMAGE: 'i:1', WATCH_NAMESPACES: '' }).WATCH_NAMESPACES, []);
});

it('lists everything that is wrong at once', () => {
  assert.throws(
    () => readConfig({ METRICS_PORT: 'x', LOG_LEVEL: 'loud' }),
    (error: Error) => {
      for (const name of ['INFERENCE_IMAGE', 'METRICS_PORT', 'LOG_LEVEL'])
        assert.ok(error.message.includes(name), name);
      return true;
    },
  );
});
