import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { canonicalName } from './names.ts';

describe('the name of a model', () => {
  const known = ['siglip-lstm-v4', 'color-cues', 'Color_Cues', 'voice'];
  const rows: { wanted: string; name: string; why: string }[] = [
    { wanted: 'voice', name: 'voice', why: 'is taken as it is' },
    { wanted: 'SIGLIP-LSTM-V4', name: 'siglip-lstm-v4', why: 'may have another case' },
    { wanted: 'SIGLIP-LSTMV4', name: 'siglip-lstm-v4', why: 'may lack hyphens' },
    { wanted: 'siglip_lstm_v4', name: 'siglip-lstm-v4', why: 'may have underscores' },
    { wanted: 'Color_Cues', name: 'Color_Cues', why: 'is itself before it is like another' },
    { wanted: 'COLOR-CUES', name: 'COLOR-CUES', why: 'is unknown where two are alike' },
    { wanted: 'oracle', name: 'oracle', why: 'is unknown where none is alike' },
  ];
  for (const { wanted, name, why } of rows)
    test(`${wanted} ${why}`, () => assert.equal(canonicalName(wanted, known), name));
});
