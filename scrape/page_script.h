// The part of a page engine that runs in the page: one call reads all new results and every sign at once, since a round
// trip to the browser for each element would take most of the time.
#pragma once
#include <string>

namespace ar::scrape {

/// What the scripts below share; they have the profile's selectors (see page_arguments) as their first argument.
inline const std::string kPageFunctions = R"js(
const profile = arguments[0];
const visible = e => {
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  return box.width > 0 && box.height > 0 && style.visibility !== 'hidden' && style.display !== 'none';
};
const shown = signs => {
  for (const sign of signs)
    for (const e of document.querySelectorAll(sign.selector))
      if (visible(e) && (!sign.text || e.textContent.includes(sign.text))) return e;
  return null;
};
const by_rule = (result, rule) => {
  const scope = rule.page ? document : result;
  const e = rule.selector ? scope.querySelector(rule.selector) : result;
  if (!e) return '';
  let value = rule.attribute === 'text' ? e.textContent.trim() : (e.getAttribute(rule.attribute) || '');
  if (value && rule.json) {
    try {
      let at = JSON.parse(value);
      for (const key of rule.json.split('.')) at = at?.[key];
      value = at === undefined || at === null ? '' : String(at);
    } catch { value = ''; }
  }
  if (value && rule.parameter) {
    try { value = new URL(value, document.baseURI).searchParams.get(rule.parameter) || ''; } catch { value = ''; }
  }
  return value;
};
const text = (result, rules) => {
  for (const rule of rules) { const value = by_rule(result, rule); if (value) return value; }
  return '';
};
const url = (result, rules) => {
  for (const rule of rules) {
    const value = by_rule(result, rule);
    if (!value) continue;
    try {
      const absolute = new URL(value, document.baseURI);
      if (['http:', 'https:', 'data:'].includes(absolute.protocol)) return absolute.href;
    } catch {}
  }
  return '';
};
)js";

/// Second argument: the index of the first result to read.
/// Returns {count, items: [{url, thumb, page, title}], more, end, no_results, blocked, consent}; more and consent are
/// the elements to click or null.
inline const std::string kReadPage = kPageFunctions + R"js(
const from = arguments[1];
if (profile.opened) return url(document, profile.opened);
const results = document.querySelectorAll(profile.results);
const items = [];
for (let i = from; i < results.length; ++i)
  items.push({url: url(results[i], profile.full), thumb: url(results[i], profile.thumbnail),
              page: url(results[i], profile.page), title: text(results[i], profile.title)});
return {count: results.length, items, more: shown(profile.more), end: !!shown(profile.end),
        no_results: !!shown(profile.no_results), blocked: !!shown(profile.blocked),
        consent: shown(profile.consent.map(selector => ({selector})))};
)js";

/// What each part of the profile finds: [{member, what, count, of, sample}], `of` is null where there is nothing to
/// count by.
inline const std::string kInspectPage = kPageFunctions + R"js(
const lines = [];
const line = (member, what, of, find) => {
  try {
    const found = find();
    lines.push({member, what, of, count: found.length, sample: found.length ? String(found[0]).slice(0, 200) : ''});
  } catch (error) {
    lines.push({member, what, of, count: 0, sample: String(error).slice(0, 200)});
  }
};
const all = selector => [...document.querySelectorAll(selector)];
const results = (() => { try { return all(profile.results); } catch { return []; } })();
const describe = rule => [rule.selector, '@' + rule.attribute, rule.json && 'json ' + rule.json,
                          rule.parameter && 'parameter ' + rule.parameter].filter(part => part).join(' ');
line('results', profile.results, null, () => all(profile.results).map(() => ''));
for (const member of ['full', 'thumbnail', 'page', 'title'])
  profile[member].forEach((rule, i) => line(`${member}[${i}]`, describe(rule), results.length,
                                            () => results.map(result => by_rule(result, rule)).filter(value => value)));
if (profile.click)
  line('click', profile.click, results.length, () => results.filter(
      result => result.matches(profile.click) || result.querySelector(profile.click)).map(() => ''));
profile.after_click.forEach((rule, i) => line(`click.full[${i}]`, describe(rule), null,
                                              () => [by_rule(document, rule)].filter(value => value)));
const signs = {...profile, consent: profile.consent.map(selector => ({selector}))};
for (const member of ['consent', 'more', 'end', 'no_results', 'blocked'])
  signs[member].forEach((sign, i) => line(
      `${member}[${i}]`, sign.selector + (sign.text ? ` "${sign.text}"` : ''), null,
      () => all(sign.selector).filter(e => visible(e) && (!sign.text || e.textContent.includes(sign.text)))
                              .map(e => e.textContent.trim().replace(/\s+/g, ' '))));
return lines;
)js";

/// Brings the last result, and the end of the page, into view: what makes lazy pages load more.
inline constexpr const char* kScroll = R"js(
const results = document.querySelectorAll(arguments[0]);
if (results.length) results[results.length - 1].scrollIntoView({block: 'end', behavior: 'instant'});
window.scrollTo({top: document.documentElement.scrollHeight, behavior: 'instant'});
)js";

/// The element to click within result number arguments[1].
inline constexpr const char* kClickTarget = R"js(
const result = document.querySelectorAll(arguments[0])[arguments[1]];
return result ? (result.matches(arguments[2]) ? result : result.querySelector(arguments[2])) : null;
)js";

}  // namespace ar::scrape
