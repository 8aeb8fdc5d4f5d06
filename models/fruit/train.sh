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

# Ends while steps are large: where they went on to zero, the shop pictures were learned by heart, and 49 % of the
# validation pictures were right instead of 54 %.
end="--repeat fruit=1.5 --input 96 --epochs 60 --stop-after 28 --learning-rate 2e-3 --warm-up 1 --dropout 0.2"
# For the figures, and the temperatures of the heads:
# shellcheck disable=SC2086
train "$fruit" shop=shop/train "$@" --from stage1/model.safetensors --output stage2 --val 0.15 --val shop=shop/val $hard $end
# The same once more with the validation pictures, which stage1 didn't see either.
# shellcheck disable=SC2086
train "$fruit" shop=shop.txt "$@" --from stage1/model.safetensors --output stage3 --val 0 --temperatures stage2/model.safetensors \
  $hard $end

cp stage3/model-int8.safetensors "$here/fruit.safetensors"
