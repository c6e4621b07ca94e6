import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LABEL } from '../../api/names.ts';
import type { PersistentVolumeClaim } from '../kinds.ts';
import { MODEL_APP_NAME } from './claim-plan.ts';
import { isCollectable } from './collect.ts';

describe('a claim is collected', () => {
  const ours = { [LABEL.name]: MODEL_APP_NAME };
  const unused = { wanted: false, mounted: false };
  const rows = [
    { what: 'that nobody wants', seen: unused, collected: true },
    { what: 'that a model wants', seen: { ...unused, wanted: true }, collected: false },
    { what: 'that pods mount', seen: { ...unused, mounted: true }, collected: false },
    { what: 'that is retained', labels: { ...ours, [LABEL.retain]: 'true' }, seen: unused, collected: false },
    { what: 'that is not of a model', labels: { [LABEL.name]: 'other' }, seen: unused, collected: false },
    { what: 'that goes already', deletionTimestamp: 'T', seen: unused, collected: false },
  ];
  for (const { what, labels = ours, deletionTimestamp, seen, collected } of rows) {
    it(`${what}: ${collected}`, () => {
      const metadata = { name: 'c', labels, ...(deletionTimestamp ? { deletionTimestamp } : {}) };
      assert.equal(isCollectable({ metadata } as PersistentVolumeClaim, seen), collected);
    });
  }
});
