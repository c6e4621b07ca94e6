import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import type { KubeClient } from './client.ts';
import { EventRecorder } from './events.ts';

it('an event is cut to the bytes that the API server takes, between characters', async () => {
  const created: { note: string; reason: string }[] = [];
  const client = {
    create: async (_kind: unknown, event: { note: string; reason: string }) => created.push(event),
  } as unknown as KubeClient;
  const log = pino({ level: 'silent' });
  const events = new EventRecorder({ client, log, controller: 'c/c', instance: 'i' });
  const kind = { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
  for (const [note, reason] of [
    ['é'.repeat(1024), 'R'.repeat(129)],
    [`a${'😀'.repeat(256)}`, 'R'],
    ['x'.repeat(1024), 'R'.repeat(128)],
  ] as const) {
    events.record(kind, { metadata: { name: 'o' } }, { type: 'Normal', reason, action: 'A', note });
  }
  await events.flush();
  assert.deepEqual(
    created.map(({ note, reason }) => [Buffer.byteLength(note), Buffer.byteLength(reason)]),
    [
      [1023, 128],
      [1024, 1],
      [1024, 128],
    ],
  );
  assert.ok(created.every(({ note }) => !note.includes('\ufffd')));
});
