/** What status remembers of a rollout: enough for another operator to go on from. */
import { z } from 'zod';
import { digest, dnsLabel, doc, mapList, timestamp } from '../schema.ts';
import { analysisRun } from './analysis.ts';

const revision = (description: string) => doc(z.string().max(16), description);
const percent = (description: string) => doc(z.int().min(0).max(100), description);

const canary = doc(
  z.object({
    weights: doc(
      z.object({
        stable: percent('Percent for the stable revision.'),
        canary: percent('Percent for the canary.'),
        achieved: doc(
          z.number().min(0).max(100),
          "The canary's percent as it is: of the weights where an HTTPRoute has them, else of the ready pods.",
        ),
        verified: doc(z.boolean(), 'The router has taken the weights over.'),
      }),
      'How requests are split.',
    ).optional(),
    analysis: mapList(analysisRun, 'id', 34, 'Analyses of this rollout.').optional(),
    scaleDownAt: timestamp('When the pods of the revision that was left go.').optional(),
    noSurge: doc(
      z.boolean(),
      'true: no accelerator was free for an additional pod, so old pods go before new ones come until the rollout is over.',
    ).optional(),
  }),
  'The rollout that is under way, or the last one.',
);

const pauseReasons = ['CanaryPauseStep', 'BlueGreenPause', 'InconclusiveAnalysis', 'PausedByUser'] as const;
export const completionStatuses = [
  'Promoted',
  'FastPromoted',
  'Aborted',
  'Superseded',
  'RolledBack',
  'FastRolledBack',
] as const;

export const rolloutStatus = {
  lastGoodRevision: revision('The last revision that was promoted and served in full.').optional(),
  currentStepIndex: doc(
    z.int().min(0).max(1000),
    'The step that is being taken; their number when all are.',
  ).optional(),
  currentStepHash: doc(z.string().max(16), 'Hash of the steps: others begin at the first.').optional(),
  controllerPause: doc(
    z.boolean(),
    'The operator paused. With pauseConditions taken out the pause is over.',
  ).optional(),
  pauseConditions: mapList(
    doc(
      z.object({
        reason: doc(z.enum(pauseReasons), 'Why it waits.'),
        startTime: timestamp('Since when.'),
      }),
      'A reason to wait.',
    ),
    'reason',
    4,
    'Why the rollout waits. Taking them out goes on.',
  ).optional(),
  abort: doc(
    z.boolean(),
    'true: all requests go to the stable revision until a retry or another revision.',
  ).optional(),
  abortedAt: timestamp('When it was aborted.').optional(),
  abortReason: doc(z.string().max(1024), 'Why it is so, for a person.').optional(),
  promoteFull: doc(z.boolean(), 'true: the remaining steps are skipped.').optional(),
  canary: canary.optional(),
  completion: doc(
    z.object({
      status: doc(z.enum(completionStatuses), 'How it ended.'),
      revision: revision('Of which revision.'),
      at: timestamp('When it ended.'),
    }),
    'How the last rollout ended.',
  ).optional(),
  revisions: mapList(
    doc(
      z.object({
        revision: revision('Name of the revision.'),
        createdAt: timestamp('When its Deployment was made.'),
        promotedAt: timestamp('When it last became the stable revision; absent: it never was.').optional(),
        replicas: doc(z.int().min(0).max(100_000), 'Its pods.'),
        ready: doc(z.int().min(0).max(100_000), 'Of these, ready.'),
        models: doc(
          z
            .array(
              doc(
                z.object({
                  name: doc(dnsLabel(), 'Name of the DeepfakeModel.'),
                  version: doc(z.string().max(64), 'Version of its package.'),
                  digest: doc(digest(), 'Digest of its package.'),
                }),
                'A package.',
              ),
            )
            .max(16),
          'What it serves.',
          { 'x-kubernetes-list-type': 'atomic' },
        ).optional(),
      }),
      'A revision that can be gone back to.',
    ),
    'revision',
    102,
    'The revisions that are kept, the newest first.',
  ).optional(),
};
