// The page of the image search: results appear as one scrolls, after a question about cookies and behind a button.
#pragma once

namespace ar::apps::demo {

inline constexpr const char* kSearchPage = R"html(<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Image search</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0 auto; max-width: 70rem; padding: 1rem }
nav a { margin-right: 1rem }
#list { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); margin: 1rem 0 }
.result { border: 1px solid #8885; border-radius: .5rem; min-height: 9rem; overflow: hidden }
.result img { display: block; height: 8rem; object-fit: cover; width: 100% }
.result a { display: block; font-size: .85rem; padding: .2rem .5rem }
#consent { align-items: center; background: #000b; color: #fff; display: grid; inset: 0; justify-content: center; position: fixed }
#consent p { font-size: 1.2rem }
button { border-radius: .4rem; font: inherit; padding: .4rem 1.2rem }
[hidden] { display: none !important }
</style>
<h1>Image search</h1>
<nav></nav>
<div id="list"></div>
<p><button id="more" hidden>More results</button></p>
<p id="end" hidden>These are all results.</p>
<p id="none" hidden>Nothing was found.</p>
<div id="consent"><div><p>This page would like to bake cookies.</p>
<button id="accept">If it must</button> <button id="reject">Rather not</button></div></div>
<script>
const $ = id => document.getElementById(id), step = 20, first = 60;
const query = new URLSearchParams(location.search).get('q') || '';
let results = [], shown = 0, pressed = false;
function show_more() {
  const before = shown;
  const limit = pressed ? results.length : Math.min(first, results.length);
  for (const end = Math.min(shown + step, limit); shown < end; ++shown) {
    const { url, title } = results[shown], div = document.createElement('div');
    div.className = 'result';
    div.dataset.result = JSON.stringify({ url: new URL(url, location.href).href });
    const image = new Image(), link = document.createElement('a');
    image.src = url; image.alt = title; image.loading = 'lazy';
    link.href = url; link.textContent = title;
    div.append(image, link);
    $('list').append(div);
  }
  $('more').hidden = pressed || shown < limit || limit === results.length;
  $('end').hidden = shown < results.length;
  if (shown > before) near_end();
}
function near_end() {
  if (scrollY + innerHeight > document.documentElement.scrollHeight - 400) show_more();
}
async function start() {
  $('consent').remove();
  const answer = await fetch('results/' + encodeURIComponent(query) + '.json');
  results = answer.ok ? await answer.json() : [];
  $('none').hidden = results.length > 0;
  if (results.length) show_more();
}
$('accept').onclick = $('reject').onclick = start;
$('more').onclick = () => { pressed = true; show_more(); };
addEventListener('scroll', near_end);
for (const name of ['bowing', 'jumping jacks', 'punching', 'sitting', 'squats', 'walking', 'waving']) {
  const link = document.createElement('a');
  link.href = '?q=' + encodeURIComponent(name); link.textContent = name;
  document.querySelector('nav').append(link);
}
</script>
)html";

}  // namespace ar::apps::demo
