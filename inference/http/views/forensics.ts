/** Provenance and traces of a file, as answers show them beside the score where FORENSICS is on. */
import { z } from 'zod';
import type { Analysis } from '../../pipelines/analysis.ts';
import { rounded } from './numbers.ts';

const text = z.string().nullable();

export const forensicMembers = {
  provenance: z
    .strictObject({
      c2pa: z
        .strictObject({
          present: z.boolean().nullable().describe('null: nothing is looked for in this format.'),
          validation_state: z.literal('not_checked').describe('No signature and no hash is checked.'),
        })
        .nullable()
        .describe('Content Credentials. Neither their presence nor their absence proves anything.'),
      exif: z
        .strictObject({
          present: z.boolean(),
          make: text,
          model: text,
          software: text,
          date_time: text.describe("Of the camera's clock, without a time zone."),
          has_position: z.boolean().describe('Whether the file says where it was taken; never where.'),
        })
        .nullable()
        .optional()
        .describe('Of images.'),
      container: z
        .strictObject({ encoder: text, brand: text, creation_time: text, has_position: z.boolean() })
        .nullable()
        .optional()
        .describe('Of sound and video.'),
    })
    .optional()
    .describe(
      'What the file says of where it comes from: claims that anybody can write. null: could not be read.',
    ),
  forensics: z
    .strictObject({
      noise: z
        .strictObject({
          level: z.number().describe('Standard deviation of the noise, in steps of 8-bit luma.'),
          residual_std: z.number(),
          residual_kurtosis: z.number(),
          inconsistency: z.number().describe('Doublings of the noise from the calm to the noisy parts.'),
        })
        .nullable(),
      jpeg: z
        .strictObject({
          quality: z.int().min(1).max(100).describe("Nearest of libjpeg's scale."),
          tables: z.enum(['standard', 'custom']).describe('standard: exactly those of libjpeg.'),
          subsampling: text,
          progressive: z.boolean(),
          double_compression: z
            .strictObject({ likely: z.boolean(), evidence: z.number(), frequencies: z.int() })
            .nullable()
            .describe('The rhythm of an earlier save in the coefficients; null where they are too few.'),
        })
        .nullable()
        .optional()
        .describe('Of JPEG files.'),
    })
    .optional()
    .describe('Traces of an image, beside the score and no part of it. null: could not be read.'),
};

const forensicAnswer = z.strictObject(forensicMembers);

/** Empty where nobody asked. */
export function forensicView({ forensicReport }: Analysis): z.infer<typeof forensicAnswer> {
  if (forensicReport === undefined) return {};
  const { provenance, forensics } = forensicReport;
  return { provenance, ...(forensics === undefined ? {} : { forensics: rounded(forensics) }) };
}
