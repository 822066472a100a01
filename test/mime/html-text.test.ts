/** The text of HTML, however it is cut into pieces. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HtmlText } from '../../src/mime/html-text.ts';

const utf8 = (text: string) => Buffer.from(text).toString('latin1');
const letters = (latin1: string) => Buffer.from(latin1, 'latin1').toString();

function textOf(html: string, size = html.length): string {
  const reader = new HtmlText();
  const bytes = utf8(html);
  let text = '';
  for (let at = 0; at < bytes.length; at += size) text += reader.take(bytes.slice(at, at + size));
  return letters(text + reader.end());
}

describe('the text of HTML', () => {
  const cases: Readonly<Record<string, [html: string, text: string]>> = {
    'without tags': ['a b', 'a b'],
    'of paragraphs': ['<p>one</p>\n<p class="x">two<br>three</p>', 'one\ntwo\nthree\n'],
    'in inline elements': ['pay<b>pal</b><span style="a:b">.com</span>', 'paypal.com'],
    'with much white space': ['a \n\t  b<i> </i> c', 'a b c'],
    'with references': [
      '&lt;a&gt; &amp;amp; &uuml;&#252;&#xFC;&euro;&nbsp;&nope; &',
      '<a> &amp; üüü€\u00a0&nope; &',
    ],
    'with references that nothing ends': ['&lt b &#65', '< b A'],
    'with references of windows-1252, with zeros, with names of ASCII': [
      'don&#146;t &#150; &#0000000000065;&#x00041; a&period;b&#46;c&ZeroWidthSpace;d ?a&num=1&plus&copy',
      'don’t – AA a.b.c\u200bd ?a&num=1&plus©',
    ],
    'with impossible references': ['&#0;&#xD800;&#x110000;', '\ufffd\ufffd\ufffd'],
    'behind scripts and styles': ['<style>p { a: b }</style>x<script>if (a</b) "</scr"</script >y', 'xy'],
    'behind a script that nothing ends': ['a<script>b<p>c', 'a'],
    'around comments': ['a<!-- <b> -- > -->b<!-->c<!doctype x>d<?php e ?>f<!-- --!>g', 'abcdfg'],
    'around tags with brackets in quotes': ['<a title="x>y" href=\'a>b\'>c</a>', 'c'],
    'behind quotes that are in no value': [`<p a=b">c<p d"e>f<b/g='>h<b i = "j>k">l</p m=n='>o`, 'c\nfo'],
    'behind a quote that nothing ends': ['a<b c="d>e', 'a'],
    'that only looks like tags': ['1 < 2 <> 3 <4>', '1 < 2 <> 3 <4>'],
    'in cells': ['<table><tr><td>a</td><td>b</td></tr></table>', 'a b\n'],
    'in upper case': ['<P>A</P><SCRIPT>x</SCRIPT>', 'A\n'],
    'of xmp': ['<xmp><b></xmp>', '<b>'],
    'of blanks at the end of a line': ['a <br> b ', 'a\nb'],
    'of nothing': ['', ''],
  };
  for (const [name, [html, text]] of Object.entries(cases)) {
    it(name, () => {
      assert.equal(textOf(html), text);
      for (const size of [1, 2, 3, 5, 7]) assert.equal(textOf(html, size), text, `pieces of ${size}`);
    });
  }

  it('is found in one go, whatever is repeated', () => {
    for (const piece of [
      '<',
      '<a ',
      '<a "',
      "<a '>",
      '<!--',
      '&',
      '&#',
      '</',
      '<script>',
      '<script></',
      '<!',
      '-->',
    ]) {
      const html = piece.repeat(1_000_000 / piece.length);
      const reader = new HtmlText();
      let steps = 0;
      for (let at = 0; at < html.length; at += 65_536) {
        reader.take(html.slice(at, at + 65_536));
        steps += 1;
      }
      reader.end();
      assert.equal(steps, Math.ceil(html.length / 65_536));
    }
  });
});
