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

# glibc gives large buffers back to the system after every step; keeping them saves faulting them in again.
export MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=8589934592

# Small pictures first: the same steps take a third of the time.
"$fruitcore" train "fruit=$data/fruits360-131x9" shop=shop/train gray=gray.txt "$@" --output stage1 \
  --val 0.15 --val shop=shop/val --auxiliary gray --repeat fruit=1.5 --repeat gray=0.2 \
  --network mobilenet-v2 --width 0.35 --input 64 --epochs 40 --stop-after 25 --seed $seed

"$fruitcore" train "fruit=$data/fruits360-131x9" shop=shop/train "$@" --from stage1/model.safetensors --output stage2 \
  --val 0.15 --val shop=shop/val --repeat fruit=1.5 \
  --network mobilenet-v2 --width 0.35 --input 96 --epochs 72 --stop-after 40 --seed $seed \
  --learning-rate 2.5e-3 --warm-up 1 --mixup 0.2

# The shop pictures are known by heart by then: harder crops and colours, more mixing, decay and dropout.
"$fruitcore" train "fruit=$data/fruits360-131x9" shop=shop/train "$@" --from stage2/model.safetensors --output stage3 \
  --val 0.15 --val shop=shop/val --repeat fruit=1.5 \
  --network mobilenet-v2 --width 0.35 --input 96 --epochs 18 --seed $seed --learning-rate 1.5e-3 --warm-up 0.5 \
  --mixup 0.8 --dropout 0.3 --weight-decay 0.1 --crop 0.2 --jitter 0.4 --rotation 25

cp stage3/model-int8.safetensors "$here/fruit.safetensors"
