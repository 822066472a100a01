/** The module `job`. */
import type { Chapter } from '../entry.ts';

export const jobApi = {
  title: 'Jobs',
  doc: 'Every function that waits can begin as a job, so that several are under way at once. The end of the session cancels its jobs.',
  entries: [
    {
      kind: 'function',
      name: 'job.start',
      aliases: ['dns.start'],
      params: [
        { name: 'fn', type: 'function', sample: 'dns.a', doc: 'a function that waits, of any module' },
        { name: '...', type: 'any', sample: '"host.example"', doc: 'its arguments' },
      ],
      results: [{ type: 'job.job', doc: 'the job, already under way' }],
      doc: 'Begins what a function does. Wrong arguments raise an error here.',
      example:
        'local a, b = job.start(dns.listed, ip, "one.example"), job.start(dns.listed, ip, "two.example")\nif a:wait() or b:wait() then return 550, "5.7.1 listed" end',
    },
    {
      kind: 'function',
      name: 'job.job:wait',
      waits: true,
      params: [{ name: 'timeout', type: 'number', optional: true, doc: 'seconds to wait' }],
      results: [{ type: 'any', name: '...', doc: 'what the function returns' }],
      doc: 'Waits for the result of a job, in this callback or a later one of the session, again and again. When the time is over, `nil, "timeout ..."`: the job goes on.',
    },
    { kind: 'class', name: 'job.job', doc: 'What `job.start` began', fields: [] },
  ],
} as const satisfies Chapter;
