#!/bin/sh
# Makes fruit.safetensors: the fruit model in the box.
#
#   models/fruit/train.sh DATA WORK
#
# DATA holds the three data sets as README.md beside this script names them; WORK gets everything else.
# More data sets may follow as NAME=FOLDER; each gets a head of its own. FRUITCORE names the program.
# Killed and started again, it goes on from the last finished epoch.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=$(cd "$1" && pwd)
mkdir -p "$2"
work=$(cd "$2" && pwd)
shift 2
fruitcore=${FRUITCORE:-fruitcore}
seed=1

cd "$work"
[ -d shop ] || { mkdir shop.part && tar -xzf "$data/grocery-train-val.tar.gz" -C shop.part && mv shop.part shop; }
[ -d gray ] || { mkdir gray.part && tar -xzf "$data/fruits360-60-training.tar.gz" -C gray.part && mv gray.part gray; }
# Every tenth frame of the gray turntables.
(cd gray && find Training -name '*0_100.jpg') | LC_ALL=C sort | sed 's|^|gray/|' > gray.txt
# Training and validation pictures, for the very last stage.
find shop/train shop/val -type f | LC_ALL=C sort > shop.txt

# glibc gives large buffers back to the system after every step; keeping them saves faulting them in again.
export MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=8589934592

fruit="fruit=$data/fruits360-131x9"
train() { "$fruitcore" train "$@" --network mobilenet-v2 --width 0.35 --seed $seed; }

hard="--mixup 0.2 --cutmix 1 --weight-decay 0.05 --crop 0.25 --jitter 0.4"

# Crops show things larger than whole pictures do, so small pictures serve first: a step takes half the time.
# shellcheck disable=SC2086 # a list of arguments
train "$fruit" shop=shop/train gray=gray.txt "$@" --output stage1 --val 0.15 --val shop=shop/val $hard \
  --auxiliary gray --repeat fruit=1.5 --repeat gray=0.2 --input 64 --epochs 100 --stop-after 80

# While steps are large, shop pictures are told apart by what they have in common (54 % of the validation pictures are
# right after epoch 28, 49 % at the end), and fruit by too little (93 % then, 95 % at the end). The line between the two
# models has both.
end="--repeat fruit=1.5 --input 96 --epochs 60 --learning-rate 2e-3 --warm-up 1 --dropout 0.2"
last() { # OUTPUT ARGUMENTS…
  out=$1
  shift
  # shellcheck disable=SC2086
  [ -f "$out-28.safetensors" ] || {
    train "$@" --output "$out" --from stage1/model.safetensors $hard $end --stop-after 28
    cp "$out/model.safetensors" "$out-28.safetensors"
  }
  # shellcheck disable=SC2086
  train "$@" --output "$out" --from stage1/model.safetensors $hard $end --blend "$out-28.safetensors=0.65"
}
# For the figures, and the temperatures of the heads:
last stage2 "$fruit" shop=shop/train --val 0.15 --val shop=shop/val "$@"
# The same once more with the validation pictures, which stage1 didn't see either.
last stage3 "$fruit" shop=shop.txt --val 0 --temperatures stage2/model.safetensors "$@"

cp stage3/model-int8.safetensors "$here/fruit.safetensors"
